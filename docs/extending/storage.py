"""A storage of your own: files in this process's memory, named `memory:NAME`. `python docs/extending/storage.py`"""

from colab_rl import train
from colab_rl.storage import NotFound, Storage, check_name, register_storage

FILES = {}


class MemoryStorage(Storage):
    proves, consistent, concurrency = True, True, 1

    def __init__(self, place):
        self.place = place

    def _key(self, name):
        check_name(name)
        return f"{self.place}/{name}"

    def put(self, name, data):
        FILES[self._key(name)] = data

    def get(self, name):
        if self._key(name) not in FILES:
            raise NotFound(f"{name} is not in {self.place}")
        return FILES[self._key(name)]

    def list(self, prefix):
        start, own = self._key(f"{prefix}x")[:-1], len(f"{self.place}/")
        return {key[own:]: len(data) for key, data in list(FILES.items()) if key.startswith(start)}

    def delete(self, name):
        FILES.pop(self._key(name), None)

    def subfolder(self, path):
        return MemoryStorage(self._key(path))


register_storage("memory", lambda place, make: MemoryStorage(place))
if __name__ == "__main__":
    print(train("cart", env="CartPole-v1", store="memory:runs").state_sha256)
