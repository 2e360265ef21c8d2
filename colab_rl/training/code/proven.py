"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "9143da17efb05a56",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d69a888d51768385",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "54438550e0dda54d",
        "code of settings": "e4b8f7c16100d69d",
        "code of training": "87df8fca0eeca5e7"
    },
    "ppo gymnasium": {
        "code": "9143da17efb05a56",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "d69a888d51768385",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "54438550e0dda54d",
        "code of settings": "e4b8f7c16100d69d",
        "code of training": "87df8fca0eeca5e7"
    },
    "sac envpool": {
        "code": "cad87acbaea3f408",
        "code of algorithms": "5e5e063d4247ebdd",
        "code of algorithms/sac": "a9b2e87a3f47be20",
        "code of environments": "d69a888d51768385",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "51afc40948084296",
        "code of settings": "e4b8f7c16100d69d",
        "code of training": "87df8fca0eeca5e7"
    },
    "sac gymnasium": {
        "code": "cad87acbaea3f408",
        "code of algorithms": "5e5e063d4247ebdd",
        "code of algorithms/sac": "a9b2e87a3f47be20",
        "code of environments": "d69a888d51768385",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "51afc40948084296",
        "code of settings": "e4b8f7c16100d69d",
        "code of training": "87df8fca0eeca5e7"
    }
}
