"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "01e95991d47c4fd5",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "84da7f4b11b5ef61"
    },
    "ppo gymnasium": {
        "code": "01e95991d47c4fd5",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "84da7f4b11b5ef61"
    },
    "sac envpool": {
        "code": "4fcd8586daff7fa8",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "84da7f4b11b5ef61"
    },
    "sac gymnasium": {
        "code": "4fcd8586daff7fa8",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "84da7f4b11b5ef61"
    }
}
