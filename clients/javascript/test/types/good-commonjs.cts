// The CommonJS shape: the class itself, with everything else as its properties.

import NexaClient = require('nexaclient');

const db: NexaClient = new NexaClient('nexadb://localhost');
const users = db.collection<{ name: string }>('users');
const filter: NexaClient.Filter<{ name: string }> = { name: { $ne: 'x' } };

void users.findOne(filter).then((user) => user?.name.trim()).catch((error: unknown) => {
  if (error instanceof NexaClient.ServerSelectionError) error.hosts[0]?.address.trim();
});
const bytes: Uint8Array = NexaClient.encode({ a: 1n });
void NexaClient.decode(bytes, { bigints: 'bigint' });
