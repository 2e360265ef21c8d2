"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "a9c69f56e02643d0",
        "code of algorithms": "159e1a1c19a0d91c",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "b792192f798d439b",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "ppo gymnasium": {
        "code": "1ccc19f16b2197be",
        "code of algorithms": "159e1a1c19a0d91c",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "67f5f45a953048a3",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "sac envpool": {
        "code": "104852c56a946678",
        "code of algorithms": "525a30fe4c72bf00",
        "code of algorithms/sac": "b7eb3ba69c2f0b27",
        "code of environments": "b792192f798d439b",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "sac gymnasium": {
        "code": "a3ada65d1e1c6117",
        "code of algorithms": "525a30fe4c72bf00",
        "code of algorithms/sac": "b7eb3ba69c2f0b27",
        "code of environments": "67f5f45a953048a3",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    }
}
