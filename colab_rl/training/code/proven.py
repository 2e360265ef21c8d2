"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "16a254c7537007e7",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "9f44912a849de581",
        "code of evaluation": "5575ccaa8fd6ef15",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "ppo gymnasium": {
        "code": "16a254c7537007e7",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "9f44912a849de581",
        "code of evaluation": "5575ccaa8fd6ef15",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "sac envpool": {
        "code": "002a0ab5e76bedaf",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "9f44912a849de581",
        "code of evaluation": "5575ccaa8fd6ef15",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    },
    "sac gymnasium": {
        "code": "002a0ab5e76bedaf",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "9f44912a849de581",
        "code of evaluation": "5575ccaa8fd6ef15",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "3c47ab64698993b6",
        "code of training": "22ce8e6528446ec1"
    }
}
