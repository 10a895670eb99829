BEGIN TRANSACTION;
CREATE TABLE gen_variant_noise (
	name VARCHAR NOT NULL, 
	params VARCHAR, 
	PRIMARY KEY (name)
);
INSERT INTO "gen_variant_noise" VALUES('3','''3''');
CREATE TABLE trials_gen (
	variant VARCHAR NOT NULL, 
	iteration INTEGER NOT NULL, 
	"commit" VARCHAR NOT NULL, 
	cpu_time FLOAT, 
	results VARCHAR, 
	filename VARCHAR, 
	PRIMARY KEY (variant, iteration)
);
INSERT INTO "trials_gen" VALUES('gen-5-3',0,'e3defdc91473002087d8a9d916164506b3559ef9',1.148326763,'None','trial_gen-5-3_0_7949cc.html');
COMMIT;
