"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "104eb50a585c0317",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "9673b2c61f11eccc",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    },
    "ppo gymnasium": {
        "code": "104eb50a585c0317",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "9673b2c61f11eccc",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    },
    "sac envpool": {
        "code": "c628fe5f8e3368dd",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    },
    "sac gymnasium": {
        "code": "c628fe5f8e3368dd",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    }
}
