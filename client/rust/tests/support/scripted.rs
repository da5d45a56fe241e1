//! A gRPC server that answers each request by a script, in its own ways to fail.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tallykeeper::Code;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic_types::pb;

/// A request as the server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub message: Bytes,
}

impl Received {
    pub fn decode<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An answer: messages, and how the response ends.
#[derive(Clone, Debug)]
pub struct Answer {
    messages: Vec<Vec<u8>>,
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    /// With a status.
    Trailers(HeaderMap),
    /// Without a status.
    Cut,
    /// With a reset of the stream.
    Reset,
    /// Not at all.
    Open,
    /// With the connection.
    Disconnect,
}

impl Answer {
    /// A response with a message and the status OK.
    pub fn ok(message: &impl Message) -> Answer {
        Answer::status(Code::Ok).message(message)
    }

    pub fn status(code: Code) -> Answer {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", (code as i32).into());
        Answer::ending(End::Trailers(trailers))
    }

    /// A status with the details of a Tallykeeper server.
    pub fn error(code: Code, reason: &str, values: &[(&str, &str)]) -> Answer {
        let info = pb::ErrorInfo {
            reason: reason.to_owned(),
            domain: "tallykeeper.io".to_owned(),
            metadata: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let status = pb::Status {
            code: code as i32,
            message: format!("a sentence about {reason}"),
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
                value: info.encode_to_vec(),
            }],
        };
        let details = tonic::metadata::BinaryMetadataValue::from_bytes(&status.encode_to_vec());
        let details = std::str::from_utf8(details.as_encoded_bytes()).unwrap().to_owned();
        Answer::status(code).header("grpc-status-details-bin", &details)
    }

    /// A response that ends without a status.
    pub fn cut() -> Answer {
        Answer::ending(End::Cut)
    }

    /// A response whose stream is reset.
    pub fn reset() -> Answer {
        Answer::ending(End::Reset)
    }

    /// A response that does not end.
    pub fn open() -> Answer {
        Answer::ending(End::Open)
    }

    /// No response: the connection ends.
    pub fn disconnect() -> Answer {
        Answer::ending(End::Disconnect)
    }

    pub fn message(mut self, message: &impl Message) -> Answer {
        self.messages.push(message.encode_to_vec());
        self
    }

    /// Adds a trailer.
    pub fn header(mut self, name: &'static str, value: &str) -> Answer {
        if let End::Trailers(trailers) = &mut self.end {
            trailers.insert(name, value.parse().unwrap());
        }
        self
    }

    fn ending(end: End) -> Answer {
        Answer {
            messages: Vec::new(),
            end,
        }
    }
}

type Script = Arc<dyn Fn(usize, &Received) -> Answer + Send + Sync>;

/// A server that listens on loopback until it is dropped.
pub struct Scripted {
    pub address: String,
    received: Arc<Mutex<Vec<Received>>>,
    arrived: Arc<Notify>,
    listening: JoinHandle<()>,
}

impl Scripted {
    /// Starts a server. The script gives the answer to a request, whose index it gets: 0 is the first.
    pub async fn start(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Scripted {
        Scripted::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// Starts a server that gives these answers one after the other, and the last one to all later requests.
    pub async fn answering(answers: impl Into<Vec<Answer>>) -> Scripted {
        let answers = answers.into();
        Scripted::start(move |index, _| answers[index.min(answers.len() - 1)].clone()).await
    }

    pub fn listen(
        listener: TcpListener,
        script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Scripted {
        let address = listener.local_addr().unwrap().to_string();
        let (received, arrived) = (Arc::default(), Arc::new(Notify::new()));
        let service = Service {
            script: Arc::new(script),
            received: Arc::clone(&received),
            arrived: arrived.clone(),
        };
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(service.clone().serve(stream));
            }
        });
        Scripted {
            address,
            received,
            arrived,
            listening,
        }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for the first requests.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        loop {
            let arrived = self.arrived.notified();
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            arrived.await;
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[derive(Clone)]
struct Service {
    script: Script,
    received: Arc<Mutex<Vec<Received>>>,
    arrived: Arc<Notify>,
}

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, io::Error>>>;

impl Service {
    /// Serves a connection until the client or an answer ends it.
    async fn serve(self, stream: TcpStream) {
        let disconnect = Arc::new(Notify::new());
        let ended = disconnect.clone();
        let service = service_fn(move |request| {
            let (service, disconnect) = (self.clone(), disconnect.clone());
            async move { Ok::<_, Infallible>(service.answer(request, &disconnect).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = connection => {}
            () = ended.notified() => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>, disconnect: &Notify) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let received = Received {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            message: body.slice(5..),
        };
        let index = {
            let mut all = self.received.lock().unwrap();
            all.push(received.clone());
            all.len() - 1
        };
        self.arrived.notify_waiters();
        response((self.script)(index, &received), disconnect).await
    }
}

async fn response(answer: Answer, disconnect: &Notify) -> Response<Body> {
    let frames = answer.messages.into_iter().map(|message| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Ok(Frame::data([&[0], length.as_slice(), &message].concat().into()))
    });
    let end = match answer.end {
        End::Trailers(trailers) => stream::iter([Ok(Frame::trailers(trailers))]).boxed(),
        End::Cut => stream::empty().boxed(),
        End::Reset => stream::iter([Err(io::Error::other("reset"))]).boxed(),
        End::Open => stream::pending().boxed(),
        End::Disconnect => {
            disconnect.notify_one();
            std::future::pending().await
        }
    };
    let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()).chain(end).boxed());
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    response
}
