"""The code of today that trains as version 0.1.0 did: `python tools/proven.py` tries it and writes this file.

0.1.0 kept no hash of its code in its checkpoints. Its runs continue exactly if the code has these hashes.
"""

PROVEN: dict[str, dict[str, str]] = {
    "ppo envpool": {
        "code": "ac407a7c3a29251b",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "c6efcca94439f7ce",
        "code of environments/known": "24b9d1fd5c84639e",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "9673b2c61f11eccc",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "ppo gymnasium": {
        "code": "ac407a7c3a29251b",
        "code of algorithms": "9860fc217e6e235a",
        "code of algorithms/ppo": "a3db19730444b1c6",
        "code of environments": "c6efcca94439f7ce",
        "code of environments/known": "24b9d1fd5c84639e",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "9673b2c61f11eccc",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac envpool": {
        "code": "92df38abf33e7a4d",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "c6efcca94439f7ce",
        "code of environments/known": "24b9d1fd5c84639e",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    },
    "sac gymnasium": {
        "code": "92df38abf33e7a4d",
        "code of algorithms": "4335828b5b44cff1",
        "code of algorithms/sac": "49f68b79f09127a6",
        "code of environments": "c6efcca94439f7ce",
        "code of environments/known": "24b9d1fd5c84639e",
        "code of evaluation": "848f7f3c2c294806",
        "code of fingerprint": "bfdda7c77f281b0e",
        "code of networks": "8bc3c153a1743648",
        "code of settings": "d087863a70ba0dec",
        "code of training": "b6d1fd6bb0034596"
    }
}
