-- Jobs wait in a queue; one runs at a time, on whichever server has taken it.
alter table seed_jobs add column actor text not null default 'anonymous';
-- The server that runs it, or a part of it: another takes over where its beat is old.
alter table seed_jobs add column runner uuid;
-- Rows in one batch. Kept, for the numbers of the batches below count by it.
alter table seed_jobs add column batch_rows bigint not null default 5000;

-- A seed names data; only what was given up may be taken up again.
create unique index seed_jobs_seed_key on seed_jobs (seed) where state in ('queued', 'running', 'done');

-- Batches that are in the shop, each written with its rows: a job that is taken up again leaves them
-- out, and two servers that both believe to run it cannot load one twice.
create table seed_batches (
    job_id uuid not null,
    number bigint not null,
    rows bigint not null,
    constraint seed_batches_pkey primary key (job_id, number),
    constraint seed_batches_job_id_fkey foreign key (job_id) references seed_jobs (id)
);
