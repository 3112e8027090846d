// Every line below a mark must be refused: where the types allow one, the mark itself is the error.

import NexaClient from 'nexaclient';

interface User { name: string; age: number; address: { city: string }; tags: string[] }

const db = new NexaClient();
const users = db.collection<User>('users');

// @ts-expect-error a port is a number
new NexaClient({ port: '6970' });
// @ts-expect-error no such option
new NexaClient({ prot: 1 });
// @ts-expect-error no such read preference
new NexaClient({ readPreference: 'closest' });
// @ts-expect-error a field is missing
users.insertOne({ name: 'x' });
// @ts-expect-error a field of the wrong type
users.insertOne({ name: 'x', age: '3', address: { city: '' }, tags: [] });
// @ts-expect-error a condition of the wrong type
users.find({ age: 'old' });
// @ts-expect-error an operand of the wrong type
users.find({ age: { $gte: 'x' } });
// @ts-expect-error a list in place of a value
users.find({ age: { $gt: [1] } });
// @ts-expect-error a value in place of a list
users.find({ name: { $in: 'x' } });
// @ts-expect-error no such operator
users.find({ age: { $frob: 1 } });
// @ts-expect-error no such field
users.find({ nome: 'x' });
// @ts-expect-error no such path
users.find({ 'address.street': 'x' });
// @ts-expect-error a path of the wrong type
users.find({ 'address.city': 3 });
// @ts-expect-error no such field in $or
users.find({ $or: [{ nome: 'x' }] });
// @ts-expect-error no such field to sort by
users.find({}, { sort: { nome: 1 } });
// @ts-expect-error no such direction
users.find({}, { sort: { age: 2 } });
// @ts-expect-error no such option
users.find({}, { limt: 2 });
// @ts-expect-error the key cannot be changed
users.updateOne({ _id: 'x' }, { _id: 'y' });
// @ts-expect-error no such field
users.updateOne({ _id: 'x' }, { $set: { nome: 'x' } });
// @ts-expect-error an operator that there is not
users.updateOne({ _id: 'x' }, { $inc: { age: 1 } });
// @ts-expect-error a key is text
db.get('users', 3);
// @ts-expect-error it may be null
users.findOne({ _id: 'x' }).then((user) => user.name);
// @ts-expect-error operations by name only in bulkWrite
users.bulkWrite([{ updateOne: { filter: { name: 'x' }, update: { age: 1 } } }]);
// @ts-expect-error an event that is never told
db.on('error', () => {});
