"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "6559c3f8af8a5966",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "d147ed7d9867315e",
        "code of environments": "6a9f03768ee1dc2a",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "6c67fe7fc1bf3aca",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "5c5f59a4e2f27470",
        "code of settings": "17b3e1727c9f8e4e",
        "code of training": "43acec788d1784a2"
    },
    "ppo gymnasium": {
        "code": "27f34afb4b6573de",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "d147ed7d9867315e",
        "code of environments": "d02dd90dc42ac3d9",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "6c67fe7fc1bf3aca",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "5c5f59a4e2f27470",
        "code of settings": "17b3e1727c9f8e4e",
        "code of training": "43acec788d1784a2"
    },
    "sac envpool": {
        "code": "2b24dbf0d594f584",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "6a9f03768ee1dc2a",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "6c67fe7fc1bf3aca",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "f581cebca94e3561",
        "code of settings": "17b3e1727c9f8e4e",
        "code of training": "43acec788d1784a2"
    },
    "sac gymnasium": {
        "code": "f2260c082302e222",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "d02dd90dc42ac3d9",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "6c67fe7fc1bf3aca",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "f581cebca94e3561",
        "code of settings": "17b3e1727c9f8e4e",
        "code of training": "43acec788d1784a2"
    }
}
