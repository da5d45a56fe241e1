// Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once.
//
// It needs .NET 8 or newer and no package: it calls the HTTP port of the server, which speaks the Connect protocol
// (POST, JSON in, JSON out). Start it with `dotnet run --project examples/csharp`, or with Mono:
//
//     mcs -out:sell.exe -r:System.Net.Http -r:System.Runtime.Serialization -r:System.Xml.Linq examples/csharp/Sell.cs
//     mono sell.exe
//
// Debian has Mono in the packages mono-mcs, libmono-system-net-http4.0-cil, libmono-system-runtime-serialization4.0-cil
// and libmono-system-xml-linq4.0-cil.
// The first argument, or TALLYKEEPER_HTTP_ADDRESS, names another server than 127.0.0.1:50080.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.Serialization.Json;
using System.Threading;
using System.Threading.Tasks;
using System.Xml;
using System.Xml.Linq;

/// <summary>An error that the server has answered with, or the failure to reach it.</summary>
public sealed class TallykeeperException : Exception
{
    /// <summary>The code, such as "failed_precondition".</summary>
    public readonly string Code;

    /// <summary>The reason in google.rpc.ErrorInfo, such as "INSUFFICIENT_STOCK"; empty if there is none.</summary>
    public readonly string Reason;

    private readonly XElement _values;

    public TallykeeperException(string code, string message, XElement info = null) : base(message)
    {
        Code = code;
        Reason = (string)info?.Element("reason") ?? "";
        _values = info?.Element("metadata");
    }

    /// <summary>Reads the JSON of an error: its google.rpc.ErrorInfo has the reason and the values.</summary>
    public static TallykeeperException Of(XElement error)
    {
        IEnumerable<XElement> details = error.Element("details")?.Elements() ?? Enumerable.Empty<XElement>();
        XElement info = details.FirstOrDefault(detail => (string)detail.Element("type") == "google.rpc.ErrorInfo");
        string code = (string)error.Element("code") ?? "unknown";
        return new TallykeeperException(code, (string)error.Element("message") ?? "", info?.Element("debug"));
    }

    /// <summary>Returns a value that belongs to the reason.</summary>
    public string Value(string name) => (string)_values?.Element(name);
}

/// <summary>Calls methods of the server in a namespace.</summary>
public sealed class Client
{
    private const int AttemptsMax = 5;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private const double PauseMultiplier = 2.5;

    private readonly HttpClient _http = new HttpClient { Timeout = Timeout };
    private readonly string _address;
    private readonly string _namespace;

    public Client(string address, string name)
    {
        _address = address;
        _namespace = name;
    }

    /// <summary>Sends a mutation until it is answered. Every attempt has the same request id, so it counts once.</summary>
    public XElement Mutate(string method, IDictionary<string, string> fields)
    {
        var request = new Dictionary<string, string> { { "namespace", _namespace }, { "requestId", NewId() } };
        foreach (KeyValuePair<string, string> field in fields)
        {
            request[field.Key] = field.Value;
        }
        byte[] body = Json.Write(request);
        TimeSpan pause = FirstPause;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return Send(method, body);
            }
            catch (TallykeeperException error) when (error.Code == "unavailable" && attempt < AttemptsMax)
            {
                Thread.Sleep(pause);
                pause = TimeSpan.FromTicks((long)(pause.Ticks * PauseMultiplier));
            }
        }
    }

    /// <summary>Returns an id that nobody has used.</summary>
    public static string NewId() => Guid.NewGuid().ToString("N");

    private XElement Send(string method, byte[] body)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        HttpResponseMessage response;
        try
        {
            string url = $"http://{_address}/tallykeeper.v1.{method}";
            response = _http.PostAsync(url, content).GetAwaiter().GetResult();
        }
        catch (Exception error) when (error is HttpRequestException || error is TaskCanceledException)
        {
            throw new TallykeeperException("unavailable", $"no Tallykeeper server answers at {_address}");
        }
        using (response)
        {
            XElement answer = Json.Read(response.Content.ReadAsByteArrayAsync().GetAwaiter().GetResult());
            return response.IsSuccessStatusCode ? answer : throw TallykeeperException.Of(answer);
        }
    }
}

/// <summary>JSON as XML elements, by the classes that both .NET and Mono have.</summary>
public static class Json
{
    /// <summary>Returns an object whose values are all strings; the server takes a string for an integer as well.</summary>
    public static byte[] Write(IDictionary<string, string> fields)
    {
        var type = new XAttribute("type", "object");
        var root = new XElement("root", type, fields.Select(field => new XElement(field.Key, field.Value)));
        using (var stream = new MemoryStream())
        {
            using (XmlDictionaryWriter writer = JsonReaderWriterFactory.CreateJsonWriter(stream))
            {
                root.WriteTo(writer);
            }
            return stream.ToArray();
        }
    }

    /// <summary>Returns an object; each of its fields is an element.</summary>
    public static XElement Read(byte[] text)
    {
        using (XmlReader reader = JsonReaderWriterFactory.CreateJsonReader(text, XmlDictionaryReaderQuotas.Max))
        {
            return XElement.Load(reader);
        }
    }
}

public static class Sell
{
    private const int Copies = 3;

    public static void Main(string[] arguments)
    {
        string address = arguments.FirstOrDefault()
            ?? Environment.GetEnvironmentVariable("TALLYKEEPER_HTTP_ADDRESS")
            ?? "127.0.0.1:50080";
        // A fresh namespace: the example can run twice.
        var client = new Client(address, "example-" + Client.NewId());
        SellOut(client);
        CountOnce(client);
    }

    /// <summary>Takes one copy after the other until none is left.</summary>
    private static void SellOut(Client client)
    {
        client.Mutate("InventoryService/SetStock", new Dictionary<string, string>
        {
            { "item", "dune" },
            { "onHand", Copies.ToString() },
        });
        int sold = 0;
        try
        {
            while (true)
            {
                var sale = new Dictionary<string, string> { { "item", "dune" } };
                XElement response = client.Mutate("InventoryService/DecrementCopies", sale);
                sold += int.Parse((string)response.Element("copiesTaken"));
                string left = (string)response.Element("stockLevel").Element("available");
                Console.WriteLine($"sold {sold} of {Copies}, {left} left");
            }
        }
        catch (TallykeeperException error) when (error.Reason == "INSUFFICIENT_STOCK")
        {
            Console.WriteLine($"sold out: {error.Reason}, {error.Value("available")} available");
        }
    }

    /// <summary>Sends the same increment twice, as a program does that has crashed before it saw the first answer.</summary>
    private static void CountOnce(Client client)
    {
        var request = new Dictionary<string, string> { { "counter", "orders" }, { "requestId", Client.NewId() } };
        client.Mutate("CounterService/Increment", request);
        XElement repeated = client.Mutate("CounterService/Increment", request);
        string value = (string)repeated.Element("counter").Element("value");
        Console.WriteLine($"retried with the same request id: counter {value}, replayed {(string)repeated.Element("replayed")}");
    }
}
