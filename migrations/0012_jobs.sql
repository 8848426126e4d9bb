-- Seed jobs become one kind of job among others: imports, exports, work on partitions.
alter table seed_jobs rename to jobs;
alter table jobs rename constraint seed_jobs_pkey to jobs_pkey;
alter index seed_jobs_created_at_idx rename to jobs_created_at_idx;
alter index seed_jobs_seed_key rename to jobs_seed_key;

update jobs set
    request = request || '{"kind": "seed"}',
    progress = (
        select coalesce(jsonb_agg(step - 'entity' || jsonb_build_object('step', step->'entity') order by n), '[]')
        from jsonb_array_elements(progress) with ordinality as steps (step, n)
    );
alter table jobs add column kind text not null generated always as (request->>'kind') stored;
alter table jobs drop column rows_loaded;
alter table jobs alter column actor drop default;

-- Of seed jobs alone.
alter table jobs alter column seed drop not null;
alter table jobs alter column batch_rows drop not null, alter column batch_rows drop default;

-- Of imports: how many rows of the file were seen to, written with the rows, so that whoever takes the job
-- over leaves out what is in the shop; and what has become of them.
alter table jobs add column rows_done bigint not null default 0;
alter table jobs add column report jsonb;

-- What an import was sent, or what an export has written; null where it is no longer kept.
alter table jobs add column file_bytes bigint;

-- Why it failed, as a problem document.
alter table jobs add column problem jsonb;
update jobs set problem = jsonb_build_object('type', 'urn:stockroom:problem:unavailable', 'title',
    'A part of the server is away', 'status', 503, 'detail', error)
where error is not null;
alter table jobs drop column error;

-- How often it was taken over from a server that did not come to its end.
alter table jobs add column taken_over integer not null default 0;

-- One job of each kind runs at a time.
drop index seed_jobs_running_key;
create unique index jobs_running_key on jobs (kind) where state = 'running';
create index jobs_finished_at_idx on jobs (finished_at) where file_bytes is not null;

-- The files of jobs, in pieces: any server can go on with an import or hand out an export.
create table job_pieces (
    job_id uuid not null,
    number integer not null,
    bytes bytea not null,
    constraint job_pieces_pkey primary key (job_id, number),
    constraint job_pieces_job_id_fkey foreign key (job_id) references jobs (id) on delete cascade
);
-- They live for a day; packing them would cost more time than room.
alter table job_pieces alter column bytes set storage external;
