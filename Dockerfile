FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG RELEASE=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X boathook/internal/boathook.Release=$RELEASE" -o /boathook ./internal/cmd/boathook \
 && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /boathook /boathook
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENV BOATHOOK_DATA=/data BOATHOOK_LISTEN=:8080
ENTRYPOINT ["/boathook"]
CMD ["serve"]
