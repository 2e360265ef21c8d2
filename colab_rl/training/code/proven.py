"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo gymnasium": {
        "code": "bba45f02ee41c82b",
        "code of algorithms": "c1b4a1e2de42d8e6",
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
        "code": "182ec65a940f84ea",
        "code of algorithms": "85a9d08430e29c44",
        "code of algorithms/sac": "6dad0151acf2010b",
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
