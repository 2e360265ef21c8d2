"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "461c08cd264adf13",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "5422df948296521d"
    },
    "ppo gymnasium": {
        "code": "461c08cd264adf13",
        "code of algorithms": "4fa1c7db58e76459",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "290b5183bac47ab9",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "5422df948296521d"
    },
    "sac envpool": {
        "code": "0808a57c1f1bbfd8",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "5422df948296521d"
    },
    "sac gymnasium": {
        "code": "0808a57c1f1bbfd8",
        "code of algorithms": "6832b5b365d4bb48",
        "code of algorithms/sac": "9554b2095e91a287",
        "code of environments": "0c9ac7fabcda740b",
        "code of environments/known": "ee058873a20cb3ad",
        "code of evaluation": "12375842f1078b3e",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "99baf1814f71f0ab",
        "code of settings": "89aad6ffc8bbdb89",
        "code of training": "5422df948296521d"
    }
}
