"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "f3cd02e994efbab5",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0d5f5c8d19e3d394",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "15d07575449e5de2",
        "code of training": "0182a080095b8284"
    },
    "ppo gymnasium": {
        "code": "f3cd02e994efbab5",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0d5f5c8d19e3d394",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "15d07575449e5de2",
        "code of training": "0182a080095b8284"
    },
    "sac envpool": {
        "code": "4cc59e6acbd6d6a3",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0d5f5c8d19e3d394",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "15d07575449e5de2",
        "code of training": "0182a080095b8284"
    },
    "sac gymnasium": {
        "code": "4cc59e6acbd6d6a3",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0d5f5c8d19e3d394",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "15d07575449e5de2",
        "code of training": "0182a080095b8284"
    }
}
