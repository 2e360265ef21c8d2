"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "b4a20b91c0b62c85",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "9c28c3fab3e69aaf",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "0182a080095b8284"
    },
    "ppo gymnasium": {
        "code": "b4a20b91c0b62c85",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "9c28c3fab3e69aaf",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "41b7a5dc83c5720f",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "0182a080095b8284"
    },
    "sac envpool": {
        "code": "4f237cd539ea69ad",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "9c28c3fab3e69aaf",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "0182a080095b8284"
    },
    "sac gymnasium": {
        "code": "4f237cd539ea69ad",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "9c28c3fab3e69aaf",
        "code of environments/known": "440d79e703653765",
        "code of evaluation": "2d5d876763e5a773",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "e6478a16f96a4592",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "0182a080095b8284"
    }
}
