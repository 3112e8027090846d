import NexaClient

// The tour of clients/swift/README.md, word for word: `TourTests` compares and runs it.

struct User: Codable, Sendable {
    var name: String
    var age: Int
    var embedding: Vector?
}

func tour(_ address: String) async throws -> Int {
    let client = try NexaClient(address)
    defer { client.close() }
    let users = client.collection("users", of: User.self)

    // One document. `insert` answers the key, `create` the stored document, `get` nil where there is none.
    let id = try await users.insert(User(name: "Anna", age: 31, embedding: [1, 0, 0.5]))
    let anna = try await users.get(id)
    try await users.update(id, ["age": 32])

    // Queries: an array, or a cursor that fetches as it is used and may be left at any time.
    let adults = try await users.query(["age": ["$gte": 18]], QueryOptions(sort: [.descending("age")], limit: 10))
    for try await user in users.find(["name": "Anna"]) where user.age > 31 { print(user.name) }

    // Many documents at once, and very many.
    try await users.createMany([User(name: "Bob", age: 20), User(name: "Cid", age: 44)])
    let writer = users.bulkWriter()
    for number in 0..<1000 { try await writer.create(User(name: "user \(number)", age: number % 90)) }
    let summary = await writer.finish()

    // Vectors travel as float32.
    let nearest = try await users.vectorSearch([1, 0, 0], limit: 1, field: "embedding")

    // Documents without a type keep every field, its order and its exact number.
    let document = try await client.get("users", id)
    let age = document?["age"]?.intValue

    // Errors have a kind for the program and a message for a person.
    do {
        try await client.create("users", ["_id": .string(id)])
    } catch {
        print(error.kind == .duplicateKey, error.message)
    }
    return adults.count + summary.acknowledged + nearest.count + (age ?? 0) + (anna?.age ?? 0)
}
