-- Orders and their lines grow without end, so both are partitioned by the time of the order. The
-- id is minted from that time: whoever has an id knows the partition, and ids are unique over all.
-- The partitions themselves are made by the server (server/src/partitions.rs).
create table orders (
    placed_at timestamptz not null,
    id uuid not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    customer_id uuid not null,
    status text not null,
    total_minor bigint not null,
    note text not null,
    constraint orders_pkey primary key (placed_at, id),
    constraint orders_customer_id_fkey foreign key (customer_id) references customers (id),
    constraint orders_placed_at_check check (placed_at = uuid_v7_time(id)),
    constraint orders_total_minor_check check (total_minor >= 0),
    constraint orders_status_check
        check (status in ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'returned'))
) partition by range (placed_at);

create index orders_customer_id_idx on orders (customer_id, placed_at, id);
create index orders_status_idx on orders (status, placed_at, id);

-- A line belongs to an order of the same month. That key stands between each pair of partitions,
-- not between the parents: loading is several times faster so, and a month can be taken off whole.
create table order_items (
    placed_at timestamptz not null,
    order_id uuid not null,
    line_no integer not null,
    product_id uuid not null,
    quantity integer not null,
    unit_price_minor bigint not null,
    constraint order_items_pkey primary key (placed_at, order_id, line_no),
    constraint order_items_product_id_fkey foreign key (product_id) references products (id),
    constraint order_items_quantity_check check (quantity > 0),
    constraint order_items_unit_price_minor_check check (unit_price_minor >= 0)
) partition by range (placed_at);

create index order_items_product_id_idx on order_items (product_id, placed_at, order_id);
