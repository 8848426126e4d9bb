-- The instant in a UUIDv7: its first 48 bits are milliseconds since 1970.
-- to_timestamp(double precision) is immutable and exact to the millisecond far beyond our dates,
-- so that checks and indexes may use it and the planner can inline it.
create function uuid_v7_time(id uuid) returns timestamptz
    language sql immutable strict parallel safe
    return to_timestamp(
        ('x' || left(id::text, 8) || substr(id::text, 10, 4))::bit(48)::bigint / 1000.0::double precision
    );

-- Trigram search makes `q` fast. It is contrib code that some hosts lack or do not allow:
-- there `q` answers the same from a scan.
do $$
begin
    create extension if not exists pg_trgm;
exception when others then
    raise notice 'pg_trgm is not to be had here (%), text search will scan', sqlerrm;
end $$;

-- Indexes `expression` of `on_table` for substring search, where pg_trgm is there.
create procedure create_search_index(name text, on_table text, expression text)
    language plpgsql as $$
begin
    if exists (select from pg_extension where extname = 'pg_trgm') then
        execute format('create index %I on %I using gin ((%s) gin_trgm_ops)', name, on_table, expression);
    end if;
end $$;
