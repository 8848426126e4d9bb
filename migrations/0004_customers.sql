create table customers (
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    name text not null,
    email text not null,
    phone text not null,
    address jsonb not null,
    constraint customers_pkey primary key (id)
);

create unique index customers_email_key on customers (lower(email));
create index customers_name_idx on customers (lower(name), id);
create index customers_created_at_idx on customers (created_at, id);
call create_search_index('customers_search_idx', 'customers', $$name || ' ' || email$$);
