"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "53aa9ff44f22ca8e",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "708dfdc37fcca4ed",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "15d07575449e5de2",
        "code of training": "9cfd6de8320330a6"
    },
    "ppo gymnasium": {
        "code": "53aa9ff44f22ca8e",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "708dfdc37fcca4ed",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "15d07575449e5de2",
        "code of training": "9cfd6de8320330a6"
    },
    "sac envpool": {
        "code": "a7f204a187054cae",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "708dfdc37fcca4ed",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "15d07575449e5de2",
        "code of training": "9cfd6de8320330a6"
    },
    "sac gymnasium": {
        "code": "a7f204a187054cae",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "708dfdc37fcca4ed",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "15d07575449e5de2",
        "code of training": "9cfd6de8320330a6"
    }
}
