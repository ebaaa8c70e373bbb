-- A workspace of store version 5, with data in it.
PRAGMA application_id = 1701802100;
PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE accuracies (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    split TEXT NOT NULL,
    n INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    worse INTEGER NOT NULL,
    better INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    baseline_sha256 TEXT NOT NULL,
    recorded INTEGER NOT NULL,
    predictions BLOB,
    created REAL NOT NULL
, metric TEXT NOT NULL DEFAULT 'accuracy', moments TEXT, predictions_form TEXT) STRICT;
INSERT INTO "accuracies" VALUES(1,'ba5e00000000','38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82','test',8,7,0,0,0,'38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82',1,NULL,1760000005.0,'accuracy',NULL,NULL);
INSERT INTO "accuracies" VALUES(2,'c0ffee000001','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','test',8,6,2,1,4,'38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82',0,X'789C63606462666160640200003E000E',1760000006.0,'accuracy',NULL,'{"dtype": "|u1", "shape": [8]}');
CREATE TABLE analyses (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    environment TEXT NOT NULL,
    content TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
INSERT INTO "analyses" VALUES(1,'c0ffee000001','profile','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','f27f829f7378','{"kind": "profile", "layers": [1, 2]}',1760000014.0);
INSERT INTO "analyses" VALUES(2,'c0ffee000001','sensitivity','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','f27f829f7378','{"kind": "sensitivity", "layers": [1, 2]}',1760000015.0);
INSERT INTO "analyses" VALUES(3,'c0ffee000001','waterfall','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','f27f829f7378','{"kind": "waterfall", "layers": [1, 2]}',1760000016.0);
INSERT INTO "analyses" VALUES(4,'c0ffee000001','pruning','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','f27f829f7378','{"kind": "pruning", "layers": [1, 2]}',1760000017.0);
CREATE TABLE candidates (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    recipe TEXT NOT NULL,
    role TEXT NOT NULL,
    starter INTEGER NOT NULL,
    created REAL NOT NULL,
    path TEXT,
    sha256 TEXT,
    size_bytes INTEGER,
    compressed_bytes INTEGER,
    facts TEXT,
    seconds REAL,
    refusal_reason TEXT,
    refusal_remedy TEXT
) STRICT;
INSERT INTO "candidates" VALUES(1,'ba5e00000000','fashion-resnet','{"version": 1, "seed": 0, "steps": []}','baseline',1,1760000000.0,'artifacts/38/38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82.onnx','38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82',12,32,'{"parameters": 1000, "macs": 5000, "float_operators": {"Conv": 3}, "operators": 7, "weights": 0, "zero_weights": 0}',NULL,NULL,NULL);
INSERT INTO "candidates" VALUES(2,'c0ffee000001','fashion-resnet','{"version": 1, "seed": 0, "steps": [{"step": "quantize", "precision": "int8", "activations": "uint8", "calibration": "entropy", "calibration_examples": 256, "calibration_seed": 0, "per_channel": true, "rounding": "nearest", "bias_correction": false, "equalize": false, "smooth": 0.0}]}','candidate',0,1760000001.0,'artifacts/52/5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5.onnx','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5',10,30,'{"parameters": 1000, "macs": 5000, "float_operators": {}, "operators": 7, "weights": 0, "zero_weights": 0}',1.5,NULL,NULL);
INSERT INTO "candidates" VALUES(3,'c0ffee000002','fashion-resnet','{"version": 1, "seed": 1, "steps": [{"step": "prune", "ratio": 0.5, "blocks": 0, "epochs": 2.0, "distill": false, "keep_weights": false, "round_to": 8, "unit": "channels", "criterion": "l2", "scope": "uniform", "layers": {}, "rounds": 1}, {"step": "fuse"}]}','control',0,1760000002.0,NULL,NULL,NULL,NULL,NULL,NULL,'no layer can be pruned.','Try INT8.');
CREATE TABLE checkpoints (
    prefix TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    compressed_bytes INTEGER NOT NULL,
    created REAL NOT NULL
) STRICT;
INSERT INTO "checkpoints" VALUES('beef00000001','artifacts/49/491bb8b74dd06f8cf35e527bf3bfd3d04c7c2f0de7a733ed95c835842eb8184b.onnx','491bb8b74dd06f8cf35e527bf3bfd3d04c7c2f0de7a733ed95c835842eb8184b',15,35,1760000007.0);
CREATE TABLE epochs (
    prefix TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    loss REAL NOT NULL,
    accuracy REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (prefix, epoch)
) STRICT
;
INSERT INTO "epochs" VALUES('beef00000001',1,1.25,0.5,2.0);
INSERT INTO "epochs" VALUES('beef00000001',2,0.75,0.625,2.0);
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    words TEXT NOT NULL,
    state TEXT NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    token INTEGER NOT NULL DEFAULT 0,
    lease_until REAL
) STRICT;
INSERT INTO "jobs" VALUES(1,'c0c78c14b59e','make','make c0ffee000001','{"task": "fashion-resnet", "recipe": {"version": 1, "seed": 0, "steps": [{"step": "quantize", "precision": "int8", "activations": "uint8", "calibration": "entropy", "calibration_examples": 256, "calibration_seed": 0, "per_channel": true, "rounding": "nearest", "bias_correction": false, "equalize": false, "smooth": 0.0}]}}','INT8','done',1.0,'',1,NULL,1760000008.0,1760000009.0,1760000011.0,0,'worker',1,NULL);
INSERT INTO "jobs" VALUES(2,'527d41a0e383','measure','measure c0ffee000002','{"task": "fashion-resnet", "candidate": "c0ffee000002"}','measure','queued',0.0,'',0,NULL,1760000013.0,NULL,NULL,0,NULL,0,NULL);
CREATE TABLE latencies (
    seq INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL REFERENCES candidates (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    environment TEXT NOT NULL,
    environment_facts TEXT NOT NULL,
    rounds INTEGER NOT NULL,
    baseline_ms BLOB NOT NULL,
    candidate_ms BLOB NOT NULL,
    null_ms BLOB NOT NULL,
    baseline_sha256 TEXT NOT NULL,
    cold_start_ms REAL NOT NULL,
    created REAL NOT NULL
, usual_ms REAL) STRICT;
INSERT INTO "latencies" VALUES(1,'ba5e00000000','38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82','f27f829f7378','{"cpu": "Test CPU", "instructions": ["avx2", "avx512_vnni"], "cores": 2, "threads": 1, "engine": "onnxruntime", "engine_version": "1.32.0", "governor": "performance"}',3,X'000040400080404000004140008041400000424000804240000043400080434000004440008044400000454000804540',X'000040400080404000004140008041400000424000804240000043400080434000004440008044400000454000804540',X'0000484000804840000049400080494000004A4000804A4000004B4000804B4000004C4000804C4000004D4000804D40','38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82',12.5,1760000003.0,2.75);
INSERT INTO "latencies" VALUES(2,'c0ffee000001','5228a5dae9ee88845aadeacc33b1e2db11c75ffea338a33f750dff236be33bc5','f27f829f7378','{"cpu": "Test CPU", "instructions": ["avx2", "avx512_vnni"], "cores": 2, "threads": 1, "engine": "onnxruntime", "engine_version": "1.32.0", "governor": "performance"}',3,X'000040400080404000004140008041400000424000804240000043400080434000004440008044400000454000804540',X'0000C03F0000C13F0000C23F0000C33F0000C43F0000C53F0000C63F0000C73F0000C83F0000C93F0000CA3F0000CB3F',X'0000484000804840000049400080494000004A4000804A4000004B4000804B4000004C4000804C4000004D4000804D40','38eda9007652a0384163cd1864dfb00c5981e5810efbce420219b8e2af5e4d82',12.5,1760000004.0,2.75);
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT;
INSERT INTO "meta" VALUES('changes',16);
CREATE INDEX candidates_of_task ON candidates (task);
CREATE INDEX latencies_of_candidate ON latencies (candidate, environment, sha256, seq);
CREATE INDEX accuracies_of_candidate ON accuracies (candidate, split, sha256, recorded, seq);
CREATE UNIQUE INDEX one_live_job_per_key ON jobs (key) WHERE state IN ('queued', 'running');
CREATE INDEX live_jobs ON jobs (state) WHERE state IN ('queued', 'running');
CREATE TRIGGER candidates_insert AFTER INSERT ON candidates BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER candidates_update AFTER UPDATE ON candidates BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER candidates_delete AFTER DELETE ON candidates BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER latencies_insert AFTER INSERT ON latencies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER latencies_update AFTER UPDATE ON latencies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER latencies_delete AFTER DELETE ON latencies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER accuracies_insert AFTER INSERT ON accuracies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER accuracies_update AFTER UPDATE ON accuracies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER accuracies_delete AFTER DELETE ON accuracies BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE INDEX analyses_of_candidate ON analyses (candidate, kind, environment, sha256, seq)
;
CREATE TRIGGER analyses_insert AFTER INSERT ON analyses BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER analyses_update AFTER UPDATE ON analyses BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER analyses_delete AFTER DELETE ON analyses BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER epochs_insert AFTER INSERT ON epochs BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER epochs_update AFTER UPDATE ON epochs BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
CREATE TRIGGER epochs_delete AFTER DELETE ON epochs BEGIN UPDATE meta SET value = value + 1 WHERE name = 'changes'; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',2);
COMMIT;
