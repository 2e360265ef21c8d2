"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "afbcc712799195da",
        "code of algorithms": "1c3a141b9796805e",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "633c92d83cac764b",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "4dd7eb1431e6e59a"
    },
    "ppo gymnasium": {
        "code": "786c0872122a1391",
        "code of algorithms": "1c3a141b9796805e",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "8d7ea21332e2ec87",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "4dd7eb1431e6e59a"
    },
    "sac envpool": {
        "code": "72fbe87a3c484702",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "633c92d83cac764b",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "4dd7eb1431e6e59a"
    },
    "sac gymnasium": {
        "code": "1fd93960ad039d24",
        "code of algorithms": "b5428adf75943d2f",
        "code of algorithms/sac": "5bab4e4b7f6f2a96",
        "code of environments": "8d7ea21332e2ec87",
        "code of evaluation": "afbf9ab7a9ecb24b",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "4dd7eb1431e6e59a"
    }
}
