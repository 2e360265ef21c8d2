"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "5be9af6c7e1ec199",
        "code of algorithms": "7b2fc5bc26247b22",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "b792192f798d439b",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "ppo gymnasium": {
        "code": "7bf0b1d4fc557acd",
        "code of algorithms": "7b2fc5bc26247b22",
        "code of algorithms/ppo": "154b5fc0b42617b8",
        "code of environments": "67f5f45a953048a3",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "sac envpool": {
        "code": "9fdd707887550847",
        "code of algorithms": "a3534f42189ddf3c",
        "code of algorithms/sac": "b7eb3ba69c2f0b27",
        "code of environments": "b792192f798d439b",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    },
    "sac gymnasium": {
        "code": "c49aa63eaf167264",
        "code of algorithms": "a3534f42189ddf3c",
        "code of algorithms/sac": "b7eb3ba69c2f0b27",
        "code of environments": "67f5f45a953048a3",
        "code of evaluation": "e5cdda24bac15790",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "7bf1c587feff5978",
        "code of settings": "e8c513dcaf33e310",
        "code of training": "1884264df6cb4948"
    }
}
