-- Clearer comments on tables and columns. V1 and V2 are not edited, because their checksums are in migrated databases.

comment on table member is 'Members: accepted applicants, who may order.';
comment on column member.membership_id is 'Membership id: last name, _, five hex digits.';
comment on column member.joined_at is 'When the member was added to this database.';

comment on table manufacturer is 'Manufacturers of items.';
comment on column manufacturer.name is 'Unique name.';

comment on table item is 'Items for sale. Retired rather than deleted: orders refer to them.';
comment on column item.manufacturer_id is 'Manufacturer.';
comment on column item.name is 'Name, unique per manufacturer.';
comment on column item.cost is 'Current price of one unit, in the currency of the shop.';
comment on column item.weight_kg is 'Current weight of one unit, in kg.';
comment on column item.added_at is 'Start of sale.';
comment on column item.retired_at is 'End of sale; null while the item is for sale.';

comment on table orders is 'Orders. Lines are in orders_item, totals in order_total.';
comment on column orders.member_id is 'Member who ordered; immutable.';
comment on column orders.ordered_at is 'Time of the order.';

comment on table orders_item is 'Order lines: at most one per order and item.';
comment on column orders_item.quantity is 'Units ordered.';
comment on column orders_item.unit_price is 'Price of one unit when it was ordered.';
comment on column orders_item.unit_weight_kg is 'Weight of one unit when it was ordered, in kg.';

comment on table txn is 'Payments of orders. An order may have several: failed ones, or partial ones.';
comment on column txn.order_id is 'The paid order.';
comment on column txn.amount is 'Amount in the currency of the shop.';
comment on column txn.status is 'pending, settled (money received), failed, or refunded.';
comment on column txn.created_at is 'Start of the payment.';
comment on column txn.settled_at is 'When the money was received; null before.';
comment on column txn.completed_at is 'When logistics delivered the paid order; null before.';

comment on view order_total is 'Orders with the totals of their lines.';
comment on column order_total.member_id is 'Member who ordered.';
comment on column order_total.ordered_at is 'Time of the order.';
comment on column order_total.lines is 'Number of lines.';

comment on function order_keeps_its_member() is 'Rejects changes of the member of an order.';
comment on function retired_items_are_not_ordered() is 'Rejects order lines of items that were retired before the order.';

comment on schema summary is 'Aggregates of members, items and sales, maintained by triggers.';
comment on table summary.member_spending is 'Money spent by each member. Members who have never paid may be missing.';
comment on table summary.item_buyer is 'Orders by item and member; determines the number of distinct members of an item.';
comment on column summary.item_buyer.orders is 'Orders of this member with this item; 0 after these were deleted.';
comment on table summary.item_sales is
    'Sales by item: the sum over its slots. Writers are spread over the slots, so that orders of a popular item do not wait for each other.';
comment on column summary.item_sales.slot is 'Partial sum, chosen by the id of the server process.';
comment on column summary.item_sales.members is 'Distinct members who ordered the item; a single slot may be negative.';
comment on procedure summary.rebuild() is
    'Recomputes the summaries, after a bulk load without triggers. Nothing may write to txn and orders_item meanwhile.';
