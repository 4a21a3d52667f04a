"""ActiveMQ with STOMP and OpenWire, which keeps its queues on its disk."""

from collections.abc import Sequence
from pathlib import Path

from tests import needs
from tests.broker_servers.certificates import certificates
from tests.broker_servers.server import (
    HOST,
    LIMITED_PASSWORD,
    LIMITED_USER,
    PASSWORD,
    USER,
    BrokerServer,
    free_port,
)

HOME = Path("/usr/share/activemq")
JAR = HOME / "bin/activemq.jar"


class ActiveMqServer(BrokerServer):
    """`port`, `tls_port` and `mutual_tls_port`, which demands a certificate of the client, speak STOMP."""

    ready = b") started"

    def __init__(self) -> None:
        super().__init__()
        self.mutual_tls_port = free_port()
        self.openwire_port = free_port()
        pairs = certificates()
        own = self._write("server.p12", pairs.server.pkcs12(PASSWORD))
        trusted = self._write("ca.p12", pairs.ca.java_truststore(PASSWORD))
        self._write(
            "log4j.properties",
            """
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %m%n
""",
        )
        self._conf = self._write(
            "activemq.xml",
            f"""<?xml version="1.0" encoding="UTF-8"?>
<beans xmlns="http://www.springframework.org/schema/beans"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://www.springframework.org/schema/beans
        http://www.springframework.org/schema/beans/spring-beans.xsd
        http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="tests" useJmx="false"
      dataDirectory="{self.data}">
    <persistenceAdapter>
      <kahaDB directory="{self.data}/kahadb" journalMaxFileLength="1mb"/>
    </persistenceAdapter>
    <plugins>
      <simpleAuthenticationPlugin>
        <users>
          <authenticationUser username="{USER}" password="{PASSWORD}" groups="all"/>
          <authenticationUser username="{LIMITED_USER}" password="{LIMITED_PASSWORD}" groups="none"/>
        </users>
      </simpleAuthenticationPlugin>
      <authorizationPlugin>
        <map>
          <authorizationMap>
            <authorizationEntries>
              <authorizationEntry queue=">" read="all" write="all" admin="all"/>
              <authorizationEntry topic=">" read="all" write="all" admin="all"/>
              <authorizationEntry topic="ActiveMQ.Advisory.>" read="all,none" write="all,none" admin="all,none"/>
            </authorizationEntries>
          </authorizationMap>
        </map>
      </authorizationPlugin>
    </plugins>
    <sslContext>
      <sslContext keyStore="file:{own}" keyStorePassword="{PASSWORD}" keyStoreType="PKCS12"
          trustStore="file:{trusted}" trustStorePassword="{PASSWORD}" trustStoreType="PKCS12"/>
    </sslContext>
    <transportConnectors>
      <transportConnector uri="stomp://{HOST}:{self.port}"/>
      <transportConnector uri="stomp+ssl://{HOST}:{self.tls_port}"/>
      <transportConnector uri="stomp+ssl://{HOST}:{self.mutual_tls_port}?transport.needClientAuth=true"/>
      <transportConnector uri="tcp://{HOST}:{self.openwire_port}"/>
    </transportConnectors>
  </broker>
</beans>
""",
        )

    def _command(self) -> Sequence[str | Path]:
        return [
            needs.program("java"),
            "-Xmx192M",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dactivemq.home={HOME}",
            f"-Dactivemq.base={self.directory}",
            f"-Dactivemq.conf={self.directory}",
            f"-Dlog4j.configuration=file:{self.directory}/log4j.properties",
            f"-Djava.io.tmpdir={self.data}",
            "-jar",
            JAR,
            "start",
            f"xbean:file:{self._conf}",
        ]
