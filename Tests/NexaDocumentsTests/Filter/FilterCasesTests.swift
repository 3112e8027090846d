import Foundation
import NexaDocuments
import NexaWire
import Testing

/// The judge of the filter language: Tests/Fixtures/query-cases.json holds filters with the documents that MongoDB finds for them.
struct FilterCasesTests {
    static let laterOperators: Set<String> = ["$size", "$all", "$elemMatch", "$regex", "$options", "$mod", "$type"]

    struct Case: CustomTestStringConvertible, Sendable {
        let filter: MessagePackValue
        let ids: [Int64]?
        var testDescription: String { JSONText.write(filter) }

        /// The first operator of a later version, if the filter uses one.
        var laterOperator: String? { FilterCasesTests.laterOperator(in: filter) }
    }

    static let fixture: (documents: [(id: Int64, bytes: [UInt8])], cases: [Case]) = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .appendingPathComponent("Fixtures/query-cases.json")
        let text = try! String(contentsOf: path, encoding: .utf8)
        let root = try! MessagePackValue(decoding: try! JSONParser.parse(text))
        let documents = root["docs"]!.arrayValue!.map { (id: $0["_id"]!.intValue!, bytes: $0.encoded()) }
        let cases = root["cases"]!.arrayValue!.map { entry in
            Case(filter: entry["filter"]!, ids: entry["ids"]?.arrayValue?.map { $0.intValue! })
        }
        return (documents, cases)
    }()

    static func laterOperator(in value: MessagePackValue) -> String? {
        switch value {
        case .array(let elements): elements.lazy.compactMap { laterOperator(in: $0) }.first
        case .map(let entries):
            entries.lazy.compactMap { entry in
                laterOperators.contains(entry.key.stringValue ?? "") ? entry.key.stringValue : laterOperator(in: entry.value)
            }.first
        default: nil
        }
    }

    static func compile(_ filter: MessagePackValue) throws(DocumentError) -> CompiledFilter {
        let bytes = filter.encoded()
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        return try CompiledFilter.compile(UnsafeRawBufferPointer(copy))
    }

    @Test(arguments: fixture.cases.filter { $0.ids != nil && $0.laterOperator == nil })
    func findsWhatMongoDBFinds(_ testCase: Case) throws {
        let filter = try Self.compile(testCase.filter)
        let found = Self.fixture.documents.filter { document in document.bytes.withUnsafeBytes { filter.matches($0) } }.map(\.id)
        #expect(found == testCase.ids)
    }

    @Test(arguments: fixture.cases.filter { $0.ids == nil && $0.laterOperator == nil })
    func refusesWhatMongoDBRefuses(_ testCase: Case) {
        #expect(throws: DocumentError.self) { try Self.compile(testCase.filter) }
    }

    @Test(arguments: fixture.cases.filter { $0.laterOperator != nil })
    func refusesOperatorsOfALaterVersionByName(_ testCase: Case) throws {
        do throws(DocumentError) {
            _ = try Self.compile(testCase.filter)
            Issue.record("accepted")
        } catch {
            #expect(error.code == .badFilter)
            let named = try #require(error.details.first { $0.key == "operator" }?.value.stringValue)
            #expect(error.message.contains(named))
        }
    }

    @Test func coversTheWholeFixture() {
        #expect(Self.fixture.documents.count == 29)
        #expect(Self.fixture.cases.count == 75)
        #expect(Self.fixture.cases.filter { $0.ids != nil && $0.laterOperator == nil }.count >= 45)
    }
}
