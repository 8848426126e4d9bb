create table seed_jobs (
    id uuid not null,
    seed bigint not null,
    request jsonb not null,
    state text not null,
    progress jsonb not null,
    rows_loaded bigint not null,
    cancel_requested boolean not null,
    error text,
    created_at timestamptz not null,
    -- Renewed with every batch: a running job whose beat is old has lost its server.
    beat_at timestamptz not null,
    finished_at timestamptz,
    constraint seed_jobs_pkey primary key (id)
);

-- One job runs at a time.
create unique index seed_jobs_running_key on seed_jobs (state) where state = 'running';
create index seed_jobs_created_at_idx on seed_jobs (created_at);
