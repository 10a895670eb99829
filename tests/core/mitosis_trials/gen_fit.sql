BEGIN TRANSACTION;
CREATE TABLE fit_variant_degree (
	name VARCHAR NOT NULL, 
	params VARCHAR, 
	PRIMARY KEY (name)
);
INSERT INTO "fit_variant_degree" VALUES('line','1');
CREATE TABLE gen_variant_amount (
	name VARCHAR NOT NULL, 
	params VARCHAR, 
	PRIMARY KEY (name)
);
INSERT INTO "gen_variant_amount" VALUES('few','20');
CREATE TABLE gen_variant_noise (
	name VARCHAR NOT NULL, 
	params VARCHAR, 
	PRIMARY KEY (name)
);
INSERT INTO "gen_variant_noise" VALUES('low','0.1');
INSERT INTO "gen_variant_noise" VALUES('high','0.5');
CREATE TABLE trials_gen_fit (
	variant VARCHAR NOT NULL, 
	iteration INTEGER NOT NULL, 
	"commit" VARCHAR NOT NULL, 
	cpu_time FLOAT, 
	results VARCHAR, 
	filename VARCHAR, 
	PRIMARY KEY (variant, iteration)
);
INSERT INTO "trials_gen_fit" VALUES('gen-few-low+fit-line',0,'e3defdc91473002087d8a9d916164506b3559ef9',1.21444099899999979896e+00,'0.11070513307755307','trial_gen-few-low+fit-line_0_d0aea6.html');
COMMIT;
