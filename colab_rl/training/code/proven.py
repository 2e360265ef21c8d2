"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "2e2fb8fa88d07fe5",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "1d00ca2c9a39bc8e",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "54438550e0dda54d",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "cebcae7391c13160"
    },
    "ppo gymnasium": {
        "code": "2e2fb8fa88d07fe5",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "1d00ca2c9a39bc8e",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "54438550e0dda54d",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "cebcae7391c13160"
    },
    "sac envpool": {
        "code": "e05e9a6abe699182",
        "code of algorithms": "5e5e063d4247ebdd",
        "code of algorithms/sac": "a9b2e87a3f47be20",
        "code of environments": "1d00ca2c9a39bc8e",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "51afc40948084296",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "cebcae7391c13160"
    },
    "sac gymnasium": {
        "code": "e05e9a6abe699182",
        "code of algorithms": "5e5e063d4247ebdd",
        "code of algorithms/sac": "a9b2e87a3f47be20",
        "code of environments": "1d00ca2c9a39bc8e",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "51afc40948084296",
        "code of settings": "bd4f723d99b7e481",
        "code of training": "cebcae7391c13160"
    }
}
