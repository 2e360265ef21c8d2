"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "59f1f7d9350028ee",
        "code of algorithms": "b4dc87482f7386f6",
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
        "code": "59f1f7d9350028ee",
        "code of algorithms": "b4dc87482f7386f6",
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
        "code": "2bca19751c6e0345",
        "code of algorithms": "9a01bd11b190d798",
        "code of algorithms/sac": "df061ffe1b418174",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    },
    "sac gymnasium": {
        "code": "2bca19751c6e0345",
        "code of algorithms": "9a01bd11b190d798",
        "code of algorithms/sac": "df061ffe1b418174",
        "code of environments": "d100771d9a4157d1",
        "code of environments/known": "b12368f1c43edf77",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "9cfd6de8320330a6"
    }
}
