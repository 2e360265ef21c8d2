"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "c5f488a2418bc408",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "01c8575a697bf2f0",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "b1ee44ad6fb31ac7",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "ppo gymnasium": {
        "code": "c5f488a2418bc408",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "01c8575a697bf2f0",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "b1ee44ad6fb31ac7",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac envpool": {
        "code": "49abcf9296a4907c",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "01c8575a697bf2f0",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "d0a9243153b6841f",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac gymnasium": {
        "code": "49abcf9296a4907c",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "01c8575a697bf2f0",
        "code of environments/known": "9475b06ea11ad17f",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "d0a9243153b6841f",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    }
}
