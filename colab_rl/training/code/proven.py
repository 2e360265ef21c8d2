"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "cb5b51122196046d",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "c62ef141bbe25332",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "ppo gymnasium": {
        "code": "cb5b51122196046d",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "c62ef141bbe25332",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "sac envpool": {
        "code": "eb1002af4db79c8e",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "c62ef141bbe25332",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "sac gymnasium": {
        "code": "eb1002af4db79c8e",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "c62ef141bbe25332",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    }
}
