"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "7c9603215ca9b26b",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "9079ac7ffc979f1a",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "80395bc37803608b",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "cd4e96035442afde",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8cc8d712f21180a3",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "80395bc37803608b",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "dcc95c9884932f80",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "9079ac7ffc979f1a",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "80395bc37803608b",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "fe8d16151b1727a0",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "8cc8d712f21180a3",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "80395bc37803608b",
        "code of training": "516ad5f55b44b767"
    }
}
