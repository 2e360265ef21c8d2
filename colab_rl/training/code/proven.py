"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs go on exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "1e21cc87aab9c235",
        "code of algorithms": "5e456b9c1bd7eb67",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "730f927080240e73",
        "code of evaluation": "0a4ad3b061eeb213",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "a486a2a1412c1e5c"
    },
    "ppo gymnasium": {
        "code": "48e8c23e222b0057",
        "code of algorithms": "5e456b9c1bd7eb67",
        "code of algorithms/ppo": "0c45291d7b7cbf8e",
        "code of environments": "a2a5fb87d7303454",
        "code of evaluation": "0a4ad3b061eeb213",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "a486a2a1412c1e5c"
    },
    "sac envpool": {
        "code": "c650d39edc8e6f71",
        "code of algorithms": "33e37375fab37438",
        "code of algorithms/sac": "0d04f658e850ca50",
        "code of environments": "730f927080240e73",
        "code of evaluation": "0a4ad3b061eeb213",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "a486a2a1412c1e5c"
    },
    "sac gymnasium": {
        "code": "33418f84d97a8883",
        "code of algorithms": "33e37375fab37438",
        "code of algorithms/sac": "0d04f658e850ca50",
        "code of environments": "a2a5fb87d7303454",
        "code of evaluation": "0a4ad3b061eeb213",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "aa59fbc63820b5eb",
        "code of settings": "fa43baf3cbebcac0",
        "code of training": "a486a2a1412c1e5c"
    }
}
