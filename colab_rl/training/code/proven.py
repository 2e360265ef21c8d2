"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo gymnasium": {
        "code": "f9070d6677459ccb",
        "code of algorithms": "c7278f33b83f8740",
        "code of algorithms/ppo": "a187d0d410e8aa3f",
        "code of arithmetic": "45f619335e792fcc",
        "code of environments": "49667cc3ad2a3a74",
        "code of environments/known": "ad6e063ec2ab1d1c",
        "code of evaluation": "7bac5343d3e18168",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "8074cc175400f8ef",
        "code of settings": "258dc4302ccafef6",
        "code of training": "82a4d885b5a6d27c"
    },
    "sac gymnasium": {
        "code": "a32c16ef2d47fad8",
        "code of algorithms": "bdb90f50bec09137",
        "code of algorithms/sac": "c97632d65743afdd",
        "code of arithmetic": "45f619335e792fcc",
        "code of environments": "49667cc3ad2a3a74",
        "code of environments/known": "ad6e063ec2ab1d1c",
        "code of evaluation": "7bac5343d3e18168",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "71d027839376df24",
        "code of settings": "258dc4302ccafef6",
        "code of training": "82a4d885b5a6d27c"
    }
}
