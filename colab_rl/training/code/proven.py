"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo gymnasium": {
        "code": "111c97a126a1428a",
        "code of algorithms": "67e12b59a8cc8e0b",
        "code of algorithms/ppo": "775a6ce500a364de",
        "code of arithmetic": "1407ec16fa3d119d",
        "code of environments": "49667cc3ad2a3a74",
        "code of environments/known": "ad6e063ec2ab1d1c",
        "code of evaluation": "5986d82d9bc8bb6a",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "8074cc175400f8ef",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "201c244cf817ffcb"
    },
    "sac gymnasium": {
        "code": "03817b95dfb87bf3",
        "code of algorithms": "1f56f906fc9c4100",
        "code of algorithms/sac": "c97632d65743afdd",
        "code of arithmetic": "1407ec16fa3d119d",
        "code of environments": "49667cc3ad2a3a74",
        "code of environments/known": "ad6e063ec2ab1d1c",
        "code of evaluation": "5986d82d9bc8bb6a",
        "code of fingerprint": "dc68f4bdf8a6440b",
        "code of networks": "71d027839376df24",
        "code of settings": "6c4aa74ac7af55f1",
        "code of training": "201c244cf817ffcb"
    }
}
