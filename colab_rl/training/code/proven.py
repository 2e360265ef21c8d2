"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "8f2be9dd5bb66621",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "7b796c516ea80c07",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "15d07575449e5de2",
        "code of training": "84da7f4b11b5ef61"
    },
    "ppo gymnasium": {
        "code": "8f2be9dd5bb66621",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "7b796c516ea80c07",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "15d07575449e5de2",
        "code of training": "84da7f4b11b5ef61"
    },
    "sac envpool": {
        "code": "e8df2acd6d828b74",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "7b796c516ea80c07",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "15d07575449e5de2",
        "code of training": "84da7f4b11b5ef61"
    },
    "sac gymnasium": {
        "code": "e8df2acd6d828b74",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "7b796c516ea80c07",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "15d07575449e5de2",
        "code of training": "84da7f4b11b5ef61"
    }
}
