"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "1165aa12ab2a9b12",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "74a3344255d105ed",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "4cddf4fd53dc7956",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "a9c937980e9918b5",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "dad2d40d679e3376",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "74a3344255d105ed",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "560076a4c804ad58",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "a9c937980e9918b5",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    }
}
