"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "7b79a05792458338",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "07493580160b08f8",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "c6419efab89a8a95",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "6e862620d5a118e7",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "a6e6029f08c361e2",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "c6419efab89a8a95",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    }
}
