"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "23145c113a496f96",
        "code of algorithms": "24df825279dead81",
        "code of algorithms/ppo": "5fc423b7d759135a",
        "code of environments": "60dd3ba56740c0d7",
        "code of environments/known": "db0b3b45bdf60c99",
        "code of evaluation": "79e250bad492ead4",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "9b79bcddcbd51f79",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "4af35da4de0cf632"
    },
    "ppo gymnasium": {
        "code": "23145c113a496f96",
        "code of algorithms": "24df825279dead81",
        "code of algorithms/ppo": "5fc423b7d759135a",
        "code of environments": "60dd3ba56740c0d7",
        "code of environments/known": "db0b3b45bdf60c99",
        "code of evaluation": "79e250bad492ead4",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "9b79bcddcbd51f79",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "4af35da4de0cf632"
    },
    "sac envpool": {
        "code": "f5a3c22183116c7b",
        "code of algorithms": "1f56f906fc9c4100",
        "code of algorithms/sac": "19ceae8821e3eaf6",
        "code of environments": "60dd3ba56740c0d7",
        "code of environments/known": "db0b3b45bdf60c99",
        "code of evaluation": "79e250bad492ead4",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "fb8e3532dfd84e98",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "4af35da4de0cf632"
    },
    "sac gymnasium": {
        "code": "f5a3c22183116c7b",
        "code of algorithms": "1f56f906fc9c4100",
        "code of algorithms/sac": "19ceae8821e3eaf6",
        "code of environments": "60dd3ba56740c0d7",
        "code of environments/known": "db0b3b45bdf60c99",
        "code of evaluation": "79e250bad492ead4",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "fb8e3532dfd84e98",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "4af35da4de0cf632"
    }
}
