"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "4a9124b274ffe3a4",
        "code of algorithms": "4fa1c7db58e76459",
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
        "code": "4a9124b274ffe3a4",
        "code of algorithms": "4fa1c7db58e76459",
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
        "code": "306c9c881ae5896b",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    },
    "sac gymnasium": {
        "code": "306c9c881ae5896b",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    }
}
