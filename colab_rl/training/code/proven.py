"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "cb8b88a8fcc4f644",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "3fd37a874b21c6fa",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "c6419efab89a8a95",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "1a9dad0275f0dc06",
        "code of algorithms": "a990b1b6dc2d8372",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "8e6a10cb47fc4e01",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "d543e34ce747ad6d",
        "code of algorithms": "a990b1b6dc2d8372",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "c6419efab89a8a95",
        "code of environments/known": "6300044bba42d252",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    }
}
