import os, subprocess, sys
from conftest import *
def test_it(env, table, tmp_path, dead_letters):
    f=tmp_path/"a.jsonl"
    f.write_bytes(b"\n".join([event(i) for i in range(2000)]+[b"{broken", event(7,user_id="unknown")])+b"\n")
    import time,resource
    for eng in sys.argv[-1:] and ("local","dask"):
        t=time.time()
        r=subprocess.run([sys.executable,"-m","enrichment_beam","backfill",f"--files={f}",f"--journal={tmp_path}/j{eng}","--shard_bytes=65536","--workers=2",f"--engine={eng}"],env={**os.environ,**env},capture_output=True,text=True)
        u=resource.getrusage(resource.RUSAGE_CHILDREN); print(time.time()-t, "CPU", u.ru_utime+u.ru_stime); print(r.stdout[-3000:]); print(r.stderr[-6000:])
        print(len(table.rows()), len(set(table.event_ids())), len(dead_letters()))
    assert 0
