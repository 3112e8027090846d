import ArgumentParser
import NexaWire

/// Documents that look like somebody's, the same in every demonstration: each is made from its number alone.
enum DemoSample: String, CaseIterable, ExpressibleByArgument {
    case users, products, vectors

    var count: Int { 1000 }

    var suggestions: [String] {
        switch self {
        case .users:
            [
                "db.users.find({age: {$gte: 60}}).sort({age: -1})", "db.users.count({\"address.city\": \"Lisbon\"})",
                "db.users.find({interests: \"chess\"}, {name: 1, address: 1})",
            ]
        case .products:
            [
                "db.products.find({price: {$lt: 10}, stock: {$gt: 0}})", ".mode box",
                "db.products.find({}, {name: 1, price: 1}).sort({price: 1})",
            ]
        case .vectors:
            [
                "db.vectors.vectorSearch([1, 0, 0, 0, 0, 0, 0, 0], {limit: 3})",
                "db.vectors.vectorSearch([0, 1, 0, 0, 0, 0, 0, 0], {limit: 3, filters: {color: \"red\"}})",
            ]
        }
    }

    func document(_ number: Int) -> MessagePackValue {
        var dice = Dice(number)
        let key = MessagePackValue.string(String("0000\(number)".suffix(4)))
        switch self {
        case .users:
            let interests = Self.interests.filter { _ in dice.roll(3) == 0 }
            return [
                "_id": key, "name": .string(dice.pick(Self.names) + " " + dice.pick(Self.families)),
                "age": .int(Int64(18 + dice.roll(60))),
                "address": [
                    "city": .string(dice.pick(Self.cities)), "street": .string("\(dice.pick(Self.streets)) \(1 + dice.roll(90))"),
                ],
                "interests": .array(interests.map { .string($0) }),
            ]
        case .products:
            return [
                "_id": key, "name": .string(dice.pick(Self.colors) + " " + dice.pick(Self.things)),
                "price": .double(Double(100 + dice.roll(20_000)) / 100), "stock": .int(Int64(dice.roll(50))),
                "tags": .array([.string(dice.pick(Self.interests))]),
            ]
        case .vectors:
            // Around the eight corners, so that neighbours exist.
            let corner = dice.roll(8)
            let vector = (0..<8).map { MessagePackValue.double(Double(dice.roll(100)) / 400 + ($0 == corner ? 1 : 0)) }
            return [
                "_id": key, "color": .string(dice.pick(Self.colors)), "corner": .int(Int64(corner)), "vector": .array(vector),
            ]
        }
    }

    private static let names = ["Ana", "Bruno", "Chidi", "Dilnaz", "Emre", "Freya", "Gota", "Hana", "Ivo", "Jun", "Kofi", "Lea"]
    private static let families = [
        "Almeida", "Berg", "Costa", "Diallo", "Evans", "Fischer", "Gómez", "Haas", "Ito", "Jansen", "Kovač",
    ]
    private static let cities = ["Lisbon", "Oslo", "Accra", "Almaty", "Kyoto", "Zürich", "Quito", "Cork"]
    private static let streets = ["Market Street", "Harbour Lane", "Mill Road", "Station Square"]
    private static let interests = ["chess", "sailing", "music", "cooking", "maps"]
    private static let colors = ["red", "green", "blue", "white", "black"]
    private static let things = ["lamp", "chair", "kettle", "bicycle", "umbrella", "notebook"]

    /// A splitmix64 generator.
    private struct Dice {
        private var state: UInt64

        init(_ seed: Int) { state = UInt64(seed) }

        mutating func roll(_ sides: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((mixed ^ (mixed >> 31)) % UInt64(sides))
        }

        mutating func pick(_ words: [String]) -> String { words[roll(words.count)] }
    }
}
