"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "1448d7cef8c44539",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f18fa65426280726",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "358a65c31bae2521",
        "code of algorithms": "5a5b0501be91fb95",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "170efd091059628f",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f18fa65426280726",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "cda75462843a44d4",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "ed190bbbea6cac72",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f18fa65426280726",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "b390d01224ed5b73",
        "code of algorithms": "346b5508524d72d9",
        "code of algorithms/sac": "9d8eb570d464d850",
        "code of environments": "170efd091059628f",
        "code of environments/known": "d379d98dfd66d758",
        "code of evaluation": "f18fa65426280726",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "73bf7a895aa09063",
        "code of training": "516ad5f55b44b767"
    }
}
