"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "0384e5a82d22edee",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "9e53288e76b06357",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "ppo gymnasium": {
        "code": "6dd82d48a17105ac",
        "code of algorithms": "cbaf4ee247643562",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "ca80e55c0865ca6f",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac envpool": {
        "code": "80cae9d746314d5e",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "9e53288e76b06357",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    },
    "sac gymnasium": {
        "code": "826e1fa5dbb2477e",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "ca80e55c0865ca6f",
        "code of environments/known": "7a9ce275bb904714",
        "code of evaluation": "f80cce6750a68140",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "516ad5f55b44b767"
    }
}
