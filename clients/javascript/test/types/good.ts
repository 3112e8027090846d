// What the types allow: compiled by tsc and by deno, never run.

import NexaClient, { Collection, DuplicateKeyError, type ChangeEvent, type Filter, type WithId } from 'nexaclient';

interface User {
  name: string;
  age: number;
  email?: string;
  tags: string[];
  address: { city: string; zip?: string };
  visits: { at: Date; pages: number }[];
  vector?: Float32Array;
}

async function main(): Promise<void> {
  const db = new NexaClient({ host: 'localhost', port: 6970 });
  await db.connect();
  const other = new NexaClient('nexadb://a,b/shop', { readPreference: 'nearest', w: 'majority' });
  await other.disconnect({ graceMS: 10 });

  const loose = await db.create('users', { name: 'John', anything: [1, { b: null }] });
  loose.anything.b;
  const id: string = loose.id;

  const users: Collection<User> = db.collection<User>('users');
  await users.insertOne({ name: 'Anna', age: 31, tags: [], address: { city: 'Rome' }, visits: [] });
  await users.insertOne({ _id: 'anna', name: 'Anna', age: 31, tags: [], address: { city: 'Rome' }, visits: [] }, { w: 2, durability: 'os' });
  const anna: WithId<User> | null = await users.findOne({ _id: id });
  if (anna !== null) anna.age.toFixed() + anna._created_at.length;

  const filter: Filter<User> = {
    age: { $gte: 18, $lt: 65 }, name: 'Anna', email: null, tags: 'a', 'address.city': { $in: ['Rome', 'Oslo'] }, 'visits.pages': { $gt: 1 }, 'visits.0.pages': 3,
    $or: [{ name: { $ne: 'Bob' } }, { 'address.zip': { $exists: false } }, { age: { $not: { $gt: 3 } } }], _created_at: { $gte: '2026' },
  };
  for await (const user of users.find(filter, { batchSize: 100, sort: { age: -1, 'address.city': 1 }, projection: ['name', 'address.city'] }).limit(10)) user.name.trim();
  const list: User[] = await users.find().sort('-age').toArray({ limit: 5 });
  const count: number = await users.countDocuments(filter);
  await users.updateOne({ _id: id }, { age: 32 }, { upsert: true });
  await users.updateOne(filter, { $set: { age: 32, tags: ['x'] } });
  await users.bulkWrite([{ insertOne: { document: list[0]! } }, { updateOne: { filter: { _id: id }, update: { age: count } } }, { deleteOne: { filter: { _id: 'x' } } }]);
  await db.batchWrite([{ op: 'create', collection: 'a', data: {} }, { op: 'delete', collection: 'b', key: 'k' }], { atomic: false });
  const hits = await users.vectorSearch(new Float32Array(3), { limit: 3, filters: { age: { $gt: 3 } } });
  hits[0]?.document.name.length;
  (await db.get<User>('users', id, { withRevision: true }))?._rev.toFixed();

  const bulk = users.bulk({ batchSize: 10, onError: ({ index, code }) => console.log(index, code) });
  await bulk.insert({ name: 'x', age: 1, tags: [], address: { city: 'y' }, visits: [] });
  (await bulk.close()).checkpoint.toFixed();

  const changes = users.watch({ operations: ['insert'], resumeAfter: new Uint8Array(3) });
  await changes.ready();
  for await (const change of changes) {
    const event: ChangeEvent<User> = change;
    event.fullDocument?.name.trim();
    break;
  }
  other.position = db.position;
  await db.alterUser('ann', { role: 'write', databases: { shop: 'read' }, newPassword: 'another', newAPIKey: true });

  try {
    await db.query<User>('users', { age: 3 }, { signal: new AbortController().signal, sort: [['age', 1]] });
  } catch (error) {
    if (error instanceof DuplicateKeyError) error.id.trim();
  }
}

void main;
