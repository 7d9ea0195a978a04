def write_sample_bag(path, duration_s=10.0, seed=0):
    raise NotImplementedError
