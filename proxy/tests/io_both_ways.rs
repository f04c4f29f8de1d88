//! Responses that begin before their request has ended, and what becomes of the connection after them.

mod io_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use io_support::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc::UnboundedSender;
use wavetank_platform::{BoxFuture, ConnectOptions, ListenOptions, Listener, Net, Platform, Stream};
use wavetank_proxy::snapshot::route::{ClusterChoice, Forward, RetryOn, RetryPolicy};

/// Long beside what any step takes, short beside the proxy's own timeouts.
const PATIENCE: Duration = Duration::from_secs(60);
/// Beyond what the sockets of one connection hold.
const MUCH: usize = 32 * 1024 * 1024;

/// An endpoint that gives each connection's halves to `serve`, and counts connections.
async fn origin<F>(
    platform: &Platform,
    serve: impl Fn(ReadHalf<Stream>, WriteHalf<Stream>) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = platform.net.listen(any_port(), ListenOptions::default()).await.unwrap();
    let address = listener.local_addr();
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, spawn) = (connections.clone(), platform.spawn.clone());
    platform.spawn.go(async move {
        while let Ok(stream) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (read, write) = tokio::io::split(stream);
            spawn.go(serve(read, write));
        }
    });
    (address, connections)
}

/// What must come about, and does not wait for ever.
async fn soon<T>(platform: &Platform, what: impl Future<Output = T>) -> T {
    platform.clock.timeout(PATIENCE, what).await.expect("nobody waits for ever")
}

/// A proxy whose only route leads to `origin`.
async fn bench(platform: &Platform, origin: SocketAddr) -> Bench {
    Bench::start(platform, snapshot(http(manager(vec![route_to("up")])), vec![cluster("up", &[origin])])).await
}

/// Reads a head, byte by byte.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// Half of a request.
const HALF: &str = "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 6\r\n\r\nabc";

async fn read_until(stream: &mut Stream, end: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    while !got.ends_with(end) {
        got.push(stream.read_u8().await.unwrap());
    }
    got
}

async fn skip(stream: &mut (impl AsyncRead + Unpin), mut count: usize) -> bool {
    let mut room = vec![0; 64 * 1024];
    while count > 0 {
        let most = room.len().min(count);
        match stream.read(&mut room[..most]).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => count -= read,
        }
    }
    true
}

/// The endpoint sends and receives at once; the caller sends all of its request before it reads a byte.
#[tokio::test]
async fn a_caller_that_takes_no_response_yet_is_not_kept_from_sending() {
    let platform = host();
    let (address, connections) = origin(&platform, |mut read, mut write| async move {
        while read_head(&mut read).await {
            let answering = async {
                write.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {MUCH}\r\n\r\n").as_bytes()).await.unwrap();
                write.write_all(&vec![b'a'; MUCH]).await.unwrap();
            };
            let (whole, ()) = tokio::join!(skip(&mut read, MUCH), answering);
            assert!(whole);
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    for _ in 0..2 {
        let mut stream = bench.connect().await;
        let exchange = async {
            let head = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {MUCH}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'b'; MUCH]).await.unwrap();
            while stream.read_u8().await.unwrap() != b'\n' {}
            assert!(skip(&mut stream, MUCH).await);
        };
        soon(&platform, exchange).await;
    }
    let records = bench.records.wait(2).await;
    assert!(records.iter().all(|record| record.flags.is_empty() && record.bytes_sent == MUCH as u64));
    assert_eq!(connections.load(Ordering::SeqCst), 1, "both were over, so the connection is good for more");
}

/// The rest of such a request is sent to nobody, and its connection is closed.
#[tokio::test]
async fn a_response_that_is_whole_before_its_request_ends_the_connection() {
    let platform = host();
    let (address, connections) = origin(&platform, |mut read, mut write| async move {
        if read_head(&mut read).await {
            write.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            let mut rest = Vec::new();
            let _ended = read.read_to_end(&mut rest).await;
            assert!(rest.is_empty());
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    for _ in 0..2 {
        let mut stream = bench.connect().await;
        let request = "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 100\r\n\r\n";
        let answer = soon(&platform, ask_on(&mut stream, request)).await;
        assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n") && answer.ends_with("no"), "{answer}");
    }
    bench.records.wait(2).await;
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// A response's head and a piece of its body come while half of the request is out.
#[tokio::test]
async fn the_rest_of_a_request_follows_the_head_of_its_response() {
    let platform = host();
    let (address, connections) = origin(&platform, |mut read, mut write| async move {
        while read_head(&mut read).await {
            let mut body = [0; 6];
            read.read_exact(&mut body[..3]).await.unwrap();
            write.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
            read.read_exact(&mut body[3..]).await.unwrap();
            assert_eq!(&body, b"abcdef");
            write.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    for _ in 0..2 {
        let mut stream = bench.connect().await;
        stream.write_all(HALF.as_bytes()).await.unwrap();
        let mut got = read_until(&mut stream, b"one\r\n").await;
        // As with Envoy: nobody waits long for the rest of a request that is answered already.
        assert!(String::from_utf8_lossy(&got).contains("\r\nconnection: close\r\n"));
        stream.write_all(b"def").await.unwrap();
        got = read_until(&mut stream, b"0\r\n\r\n").await;
        assert_eq!(got, b"3\r\ntwo\r\n0\r\n\r\n");
    }
    assert!(bench.records.wait(2).await.iter().all(|record| record.flags.is_empty()));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// A caller that leaves in the middle of both, or goes on with nonsense, takes the connection with it. It is not
/// the endpoint that failed.
#[tokio::test]
async fn a_caller_that_breaks_off_ends_both_directions() {
    let platform = host();
    let chunked = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for (request, then, flag, details) in [
        (HALF, None, "DC", "downstream_remote_disconnect"),
        (chunked, Some("nonsense\r\n"), "DPE", "http1.codec_error"),
    ] {
        let (ended, mut told) = tokio::sync::mpsc::unbounded_channel();
        let (address, _connections) = origin(&platform, move |mut read, mut write| {
            let ended = ended.clone();
            async move {
                if read_head(&mut read).await {
                    write.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome").await.unwrap();
                    let mut rest = Vec::new();
                    let _how = read.read_to_end(&mut rest).await;
                    ended.send(rest).unwrap();
                }
            }
        })
        .await;
        let bench = bench(&platform, address).await;
        let mut stream = bench.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        soon(&platform, read_until(&mut stream, b"some")).await;
        match then {
            Some(nonsense) => stream.write_all(nonsense.as_bytes()).await.unwrap(),
            None => drop(stream),
        }
        let rest = soon(&platform, told.recv()).await.unwrap();
        assert!(rest == b"abc" || rest == b"3\r\nabc\r\n", "{rest:?}");
        let record = soon(&platform, bench.record()).await;
        let flags: Vec<_> = record.flags.iter().map(ToString::to_string).collect();
        assert_eq!((flags.join(",").as_str(), &*record.details), (flag, details));
    }
}

/// Bytes beyond a response are nobody's answer: they must not meet the next request.
#[tokio::test]
async fn what_follows_a_response_unasked_is_no_answer_to_the_next_request() {
    let platform = host();
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let beyond = [
        format!("{ok}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"),
        format!("{ok}\r\n"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{ok}"),
        "HTTP/1.1 204 No Content\r\n\r\nevil".to_owned(),
    ];
    for bytes in beyond {
        let sent = bytes.clone();
        let (address, connections) = origin(&platform, move |mut read, mut write| {
            let sent = sent.clone();
            async move {
                while read_head(&mut read).await {
                    if write.write_all(sent.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        let bench = bench(&platform, address).await;
        for _ in 0..2 {
            let answer = soon(&platform, bench.ask(GET)).await;
            assert!(!answer.contains("evil"), "{bytes:?}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 20"), "{bytes:?}: {answer}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{bytes:?}");
    }
}

/// A response may come in any pieces, and after any number of interim ones.
#[tokio::test]
async fn a_response_that_comes_byte_by_byte_is_the_same() {
    let platform = host();
    let (address, connections) = origin(&platform, |mut read, mut write| async move {
        while read_head(&mut read).await {
            let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
            let last = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2;a=b\r\nok\r\n0\r\nx-t: 1\r\n\r\n";
            for byte in interim.bytes().chain(last.bytes()) {
                write.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    let mut stream = bench.connect().await;
    for _ in 0..3 {
        let answer = soon(&platform, ask_on(&mut stream, GET)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let body: String = answer.split_once("\r\n\r\n").unwrap().1.chars().filter(char::is_ascii_lowercase).collect();
        assert!(body.starts_with("ok"), "{answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// An endpoint that closes in the middle of the request, with its answer before it, has answered.
#[tokio::test]
async fn an_endpoint_that_answers_and_closes_is_heard() {
    let platform = host();
    let (address, _connections) = origin(&platform, |mut read, mut write| async move {
        if read_head(&mut read).await {
            write
                .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
                .await
                .unwrap();
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    let mut stream = bench.connect().await;
    stream.write_all(HALF.as_bytes()).await.unwrap();
    let got = soon(&platform, read_until(&mut stream, b"no")).await;
    assert!(got.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
}

/// Connections to endpoints that take little at a time; their far ends go to the test.
struct Narrow {
    net: Arc<dyn Net>,
    far_ends: UnboundedSender<DuplexStream>,
}

impl Net for Narrow {
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> BoxFuture<'_, std::io::Result<Listener>> {
        self.net.listen(addr, options)
    }

    fn connect(&self, addr: SocketAddr, _: ConnectOptions) -> BoxFuture<'_, std::io::Result<Stream>> {
        let (near, far) = tokio::io::duplex(1024);
        self.far_ends.send(far).unwrap();
        Box::pin(async move { Ok(Stream::new(near, addr, addr, None)) })
    }
}

/// A request that has come whole goes out whole, though its answer was there before: its caller was told that it was
/// taken.
#[tokio::test]
async fn a_request_that_has_come_whole_goes_out_whole_behind_its_answer() {
    let (platform, mut narrow) = (host(), host());
    let (far_ends, mut connected) = tokio::sync::mpsc::unbounded_channel();
    narrow.net = Arc::new(Narrow { net: platform.net.clone(), far_ends });
    let bench = bench(&narrow, SocketAddr::from(([10, 0, 0, 1], 80))).await;
    let mut caller = platform.net.connect(bench.address, ConnectOptions::default()).await.unwrap();
    let size = 100_000;
    let head = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {size}\r\n\r\n");
    caller.write_all(head.as_bytes()).await.unwrap();
    caller.write_all(&vec![b'b'; size]).await.unwrap();
    let endpoint = async {
        let mut far = connected.recv().await.unwrap();
        assert!(read_head(&mut far).await);
        // Each lets the proxy, on this thread, read more of what is there, until it has all and waits for room.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        far.write_all(OK.as_bytes()).await.unwrap();
        bench.record().await;
        assert!(skip(&mut far, size).await, "the request ended before its end");
        far
    };
    let mut far = soon(&platform, endpoint).await;
    assert!(soon(&platform, read_answer(&mut caller, false)).await.ends_with("\r\n\r\nok"));
    let mut next = platform.net.connect(bench.address, ConnectOptions::default()).await.unwrap();
    let again = async {
        let (answer, ()) = tokio::join!(ask_on(&mut next, GET), async {
            assert!(read_head(&mut far).await);
            far.write_all(OK.as_bytes()).await.unwrap();
        });
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    };
    soon(&platform, again).await;
}

/// An endpoint that refuses an upload may close with bytes unread; what it said before is heard.
#[tokio::test]
async fn a_refusal_is_heard_though_the_rest_of_the_request_cannot_be_sent() {
    let platform = host();
    let (address, _connections) = origin(&platform, |mut read, mut write| async move {
        if read_head(&mut read).await {
            write.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
            write.write_all(&[b'n'; 100_000]).await.unwrap();
            // Gone with bytes unread: the endpoint's system resets the connection.
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    for _ in 0..5 {
        let mut stream = bench.connect().await;
        let sending = async {
            let head = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {MUCH}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let _given_up = stream.write_all(&vec![b'b'; MUCH]).await;
        };
        let _stopped = platform.clock.timeout(Duration::from_millis(200), sending).await;
        let mut got = Vec::new();
        let _ended = soon(&platform, stream.read_to_end(&mut got)).await;
        assert!(got.starts_with(b"HTTP/1.1 413 Payload Too Large\r\n"), "{}", String::from_utf8_lossy(&got));
    }
}

/// Another protocol begins behind a request, not in the middle of it.
#[tokio::test]
async fn a_change_of_protocol_before_the_request_is_out_is_no_answer() {
    let platform = host();
    let (address, _connections) = origin(&platform, |mut read, mut write| async move {
        if read_head(&mut read).await {
            let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
            write.write_all(switched.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let _ended = read.read_to_end(&mut rest).await;
        }
    })
    .await;
    let bench = bench(&platform, address).await;
    let mut stream = bench.connect().await;
    stream.write_all(HALF.as_bytes()).await.unwrap();
    let answer = soon(&platform, read_answer(&mut stream, false)).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

/// What a caller sends while another attempt is waited for belongs to that attempt.
#[tokio::test]
async fn an_attempt_that_was_refused_early_takes_nothing_of_the_body_from_the_next() {
    let platform = host();
    let (refused, mut told) = tokio::sync::mpsc::unbounded_channel();
    let first = Arc::new(AtomicUsize::new(0));
    let (address, _connections) = origin(&platform, move |mut read, mut write| {
        let (refused, number) = (refused.clone(), first.fetch_add(1, Ordering::SeqCst));
        async move {
            assert!(read_head(&mut read).await);
            let mut body = vec![0; if number == 0 { 3 } else { 6 }];
            read.read_exact(&mut body).await.unwrap();
            if number > 0 {
                write.write_all(OK.as_bytes()).await.unwrap();
                refused.send(body).unwrap();
                return;
            }
            write.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            refused.send(Vec::new()).unwrap();
            let mut rest = Vec::new();
            let _ended = read.read_to_end(&mut rest).await;
            refused.send(rest).unwrap();
        }
    })
    .await;
    let mut conditions = RetryOn::default();
    conditions.add("5xx").unwrap();
    let mut policy = RetryPolicy::new(conditions, 1);
    policy.backoff_base = Duration::from_millis(500);
    policy.backoff_max = Duration::from_millis(500);
    let mut to = Forward::to(ClusterChoice::Single("up".into()));
    to.retry_policy = Some(policy.into());
    let handler = http(manager(vec![forward(to)]));
    let bench = Bench::start(&platform, snapshot(handler, vec![cluster("up", &[address])])).await;
    let mut stream = bench.connect().await;
    stream.write_all(HALF.as_bytes()).await.unwrap();
    soon(&platform, told.recv()).await.unwrap();
    stream.write_all(b"def").await.unwrap();
    let mut bodies = vec![soon(&platform, told.recv()).await.unwrap(), soon(&platform, told.recv()).await.unwrap()];
    bodies.sort();
    assert_eq!(bodies, [&b""[..], b"abcdef"]);
    assert!(soon(&platform, read_answer(&mut stream, false)).await.ends_with("\r\n\r\nok"));
}
